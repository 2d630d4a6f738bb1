import { ClaimApp } from '../../../components/claim-app.tsx'
import { pageData } from '../../page-data.ts'

export default function Page () {
  return <ClaimApp data={pageData('en')} />
}
