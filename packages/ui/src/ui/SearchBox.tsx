import { Search } from 'lucide-react'
import { useState } from 'react'

interface SearchBoxProps {
  label: string
  value: string
  onSearch: (text: string) => void
}

const PAUSE_MS = 150

/** A box that searches while one types, after a short pause. */
export function SearchBox({ label, value, onSearch }: SearchBoxProps) {
  const [text, setText] = useState(value)
  const [timer, setTimer] = useState<ReturnType<typeof setTimeout>>()
  const change = (typed: string) => {
    setText(typed)
    clearTimeout(timer)
    setTimer(setTimeout(() => onSearch(typed), PAUSE_MS))
  }
  return (
    <div className="search-box" role="search">
      <Search className="icon" aria-hidden />
      <input
        type="search"
        className="input"
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => change(event.target.value)}
      />
    </div>
  )
}
