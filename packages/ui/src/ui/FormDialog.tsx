import { Dialog } from '@base-ui/react/dialog'
import type { ReactNode } from 'react'
import { useState } from 'react'

interface FormDialogProps {
  title: string
  /** What the confirming button does, as a verb. */
  action: string
  isDanger?: boolean
  isWide?: boolean
  open: boolean
  onClose: () => void
  /** Stores the form; a refusal stays in the dialog with what was typed. */
  onSubmit: (form: FormData) => Promise<unknown>
  children: ReactNode
}

/** A dialog around a form, for what is typed or for what is lost. */
export function FormDialog(props: FormDialogProps) {
  const { title, action, isDanger, isWide, open, onClose, onSubmit, children } = props
  const [error, setError] = useState<string>()
  const [isSending, setSending] = useState(false)
  const submit = async (form: FormData) => {
    setSending(true)
    try {
      await onSubmit(form)
      setError(undefined)
      onClose()
    } catch (refusal) {
      setError(refusal instanceof Error ? refusal.message : String(refusal))
    } finally {
      setSending(false)
    }
  }
  const close = () => {
    setError(undefined)
    onClose()
  }
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && close()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={isWide ? 'dialog wide' : 'dialog'}>
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          <form
            onSubmit={(event) => {
              event.preventDefault()
              void submit(new FormData(event.currentTarget))
            }}
          >
            {children}
            {error !== undefined && (
              <p role="alert" className="field-error">
                {error}
              </p>
            )}
            <div className="dialog-actions">
              <Dialog.Close className="button">Cancel</Dialog.Close>
              <button
                type="submit"
                className={isDanger ? 'button danger' : 'button primary'}
                disabled={isSending}
              >
                {action}
              </button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
