// The two variables of the build; Next.js puts their values where they are named, which it does only for this way of writing them.
declare namespace NodeJS {
  interface ProcessEnv {
    KLAIM_ROOT?: string
    NEXT_PUBLIC_GATEWAY_URL?: string
  }
}
