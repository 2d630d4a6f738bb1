import type { ReactNode } from 'react'
import { Document } from '../document.tsx'
import { metadataOf } from '../metadata.ts'

export { viewport } from '../metadata.ts'
export const metadata = metadataOf('en')

export default function Layout ({ children }: { children: ReactNode }) {
  return <Document language="en">{children}</Document>
}
