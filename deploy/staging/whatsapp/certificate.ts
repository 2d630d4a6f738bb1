/** The certificate chain of the Noise handshake: staging root → intermediate → leaf, properly signed. */
import { Curve, type KeyPair, proto, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { stagingRoot } from './root-key.ts'

interface Certificate { leaf: KeyPair, chain: Uint8Array }

const { Details } = proto.CertChain.NoiseCertificate
let made: Certificate | undefined

/** Made on first use and kept: the two signatures are slow (pure JavaScript), and the real server's leaf lives for weeks too. */
export const certificate = (): Certificate => made ??= issue()

function issue (): Certificate {
  const leaf = Curve.generateKeyPair()
  const intermediate = Curve.generateKeyPair()
  const intermediateDetails = Details.encode({ serial: 1, issuerSerial: WA_CERT_DETAILS.SERIAL, key: intermediate.public }).finish()
  const leafDetails = Details.encode({ serial: 2, issuerSerial: 1, key: leaf.public }).finish()
  const chain = proto.CertChain.encode({
    intermediate: { details: intermediateDetails, signature: Curve.sign(stagingRoot.private, intermediateDetails) },
    leaf: { details: leafDetails, signature: Curve.sign(intermediate.private, leafDetails) }
  }).finish()
  return { leaf, chain }
}
