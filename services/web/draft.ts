// A half-filled form on its way to the other language. It stays in this tab's memory until the other page has read it.
import type { Form } from './machine.ts'

const KEY = 'draft'

export function keepDraft (): void {
  const form = document.querySelector('form')
  if (!form) return
  try { sessionStorage.setItem(KEY, JSON.stringify(Object.fromEntries(new FormData(form)))) } catch { /* Then the form is empty. */ }
}

export function takeDraft (): Partial<Form> {
  try {
    const text = sessionStorage.getItem(KEY)
    sessionStorage.removeItem(KEY)
    return JSON.parse(text ?? '{}') as Partial<Form>
  } catch {
    return {}
  }
}
