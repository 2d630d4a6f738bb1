// Loaded into every test by scripts/test. tap would have each Node that a test starts note which files it reads (@tapjs/processinfo), for coverage that is not taken
// here. A service then takes 1.8 times the processor to start, and there are thousands of starts: without that they start as in production.
const spawning = (globalThis as Record<symbol, unknown>)[Symbol.for('process-on-spawn@*:singletonId')] as { listeners: unknown[] } | undefined
if (!spawning) throw new Error('tap no longer reaches what a test starts by process-on-spawn: look how it does now, or take this away')
spawning.listeners = []
