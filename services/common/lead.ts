/** For the time from an accepted claim to what the member waits for, in seconds. The objective is 120 s for 95 of 100 and 180 s for 99. */
export const LEAD_BUCKETS = [5, 10, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 600, 1_800] as const
