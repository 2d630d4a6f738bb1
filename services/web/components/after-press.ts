let isPressed = false
if (typeof document !== 'undefined') {
  document.addEventListener('pointerdown', () => { isPressed = true }, true)
  for (const type of ['pointerup', 'pointercancel']) document.addEventListener(type, () => { isPressed = false }, true)
}

/** Runs when a press that is under way has become a click: what appears must not move a button away from under the finger. */
export function afterPress (run: () => void): void {
  if (!isPressed) setTimeout(run, 0)
  else document.addEventListener('pointerup', () => { setTimeout(run, 0) }, { capture: true, once: true })
}
