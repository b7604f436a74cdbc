import { Check, Copy } from 'lucide-react'
import { useState } from 'react'

/** Copies a text; `label` says what is copied, such as "Copy run id". */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isCopied, setCopied] = useState(false)
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    setTimeout(() => setCopied(false), 1500)
  }
  const Icon = isCopied ? Check : Copy
  return (
    <button type="button" className="copy" aria-label={label} title={label} onClick={copy}>
      <Icon className="icon" aria-hidden />
    </button>
  )
}
