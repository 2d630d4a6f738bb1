import { useEffect, useState } from 'react'

/** Whole seconds until a time, counted down; 0 where there is none or it has passed. */
export function useSeconds (untilMs: number | undefined): number {
  const [nowMs, setNowMs] = useState(0)
  useEffect(() => {
    if (untilMs === undefined) return undefined
    setNowMs(Date.now())
    const timer = setInterval(() => {
      setNowMs(Date.now())
      if (Date.now() >= untilMs) clearInterval(timer)
    }, 1_000)
    return () => { clearInterval(timer) }
  }, [untilMs])
  return untilMs === undefined || nowMs === 0 ? 0 : Math.max(0, Math.ceil((untilMs - nowMs) / 1_000))
}
