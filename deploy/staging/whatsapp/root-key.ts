/**
 * STAGING ONLY. The key pair that stands in for WhatsApp's certificate root. Its private half is public knowledge: whoever trusts this
 * root trusts everybody. Production trusts WhatsApp's own root, which Baileys carries, and never imports this file.
 */
export const stagingRoot = {
  public: Buffer.from('e642714e9f7e1c8e3034651021ada04e644a1a235b2e5b390dd9d1659940ec0c', 'hex'),
  private: Buffer.from('a0d7ebae0cab7d52ff9edf5ae00d6d95c9d8424fedba880bc8d0ed1fb9ff225c', 'hex')
}
