interface FieldProps {
  label: string
  name: string
  defaultValue?: string
  placeholder?: string
  isLong?: boolean
  isRequired?: boolean
}

/** One labelled line, or several, of a form. */
export function Field({ label, name, isLong, isRequired, ...rest }: FieldProps) {
  return (
    <label className="field">
      <span>{label}</span>
      {isLong ? (
        <textarea className="input" name={name} rows={8} {...rest} />
      ) : (
        <input className="input" name={name} required={isRequired} autoComplete="off" {...rest} />
      )}
    </label>
  )
}
