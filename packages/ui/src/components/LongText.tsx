import { useState } from 'react'

const SHOWN = 240

/** A text of any length: its beginning, and the rest on request. */
export function LongText({ text }: { text: string }) {
  const [isOpen, setOpen] = useState(false)
  if (text.length <= SHOWN) return text
  return (
    <>
      {isOpen ? text : `${text.slice(0, SHOWN)}… `}
      <button type="button" className="button small" onClick={() => setOpen(!isOpen)}>
        {isOpen ? 'Show less' : `Show all ${text.length.toLocaleString('en-US')} characters`}
      </button>
    </>
  )
}
