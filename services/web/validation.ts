// What the visitor types, held against the schemas of contracts/: they are plain JSON, and the page is built with them.
import type { Form } from './machine.ts'

/** The part of JSON Schema that the form's fields use. */
export interface TextSchema { readonly minLength?: number, readonly maxLength?: number, readonly pattern?: string }
export interface FormSchemas { readonly wa_number_e164: TextSchema, readonly username: TextSchema }

export function fits ({ minLength = 0, maxLength = Infinity, pattern }: TextSchema, text: string): boolean {
  return text.length >= minLength && text.length <= maxLength && (pattern === undefined || new RegExp(pattern, 'u').test(text))
}

export type Field = keyof Form
export const FIELDS: readonly Field[] = ['wa_number_e164', 'username', 'template']
export const CODES = { wa_number_e164: 'INVALID_PHONE', username: 'INVALID_USERNAME', template: 'INVALID_TEMPLATE' } as const satisfies Record<Field, string>

/** Fields that the gateway would refuse. `isNumber` is undefined while the means to tell are not loaded: then the gateway tells. */
export function wrongFields (form: Form, schemas: FormSchemas, offers: readonly string[], isNumber: boolean | undefined): Field[] {
  const isRight: Record<Field, boolean> = {
    wa_number_e164: fits(schemas.wa_number_e164, form.wa_number_e164) && isNumber !== false,
    username: fits(schemas.username, form.username),
    template: offers.includes(form.template),
  }
  return FIELDS.filter((field) => !isRight[field])
}
