// How the claim page is built: plain files that any web server can hold, without a server of Next.js behind them.
import { resolve } from 'node:path'
import type { NextConfig } from 'next'

const root = resolve(import.meta.dirname, '../..')

const config: NextConfig = {
  output: 'export',
  // `/en/` is a directory with an index.html, which every web server finds.
  trailingSlash: true,
  // The contracts and the words lie outside of this directory.
  turbopack: { root },
  outputFileTracingRoot: root,
  reactStrictMode: true,
  // The same commit makes the same page, byte for byte, where whoever builds it says which commit it is. Otherwise each build has a name of its own.
  generateBuildId: () => process.env['BUILD_ID'] || null,
  // Where build-data.ts finds the words and the offers; no page holds it.
  env: { KLAIM_ROOT: root },
  devIndicators: false,
  poweredByHeader: false,
  // `npm run check` looks at the types, with the compiler of the whole project.
  typescript: { ignoreBuildErrors: true },
  experimental: { useTypeScriptCli: true },
}

export default config
