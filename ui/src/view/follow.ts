import { START, useView } from "./store";
import { fromHash, toHash } from "./url";

const WRITE_MS = 250;

/** Keeps the view and the address the same: what is in the address at first, then every change in either. */
export function followHash(): void {
  let written = location.hash;
  let timer: ReturnType<typeof setTimeout> | undefined;
  useView.getState().set(fromHash(location.hash));
  useView.subscribe((view) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      written = toHash(view);
      history.replaceState(null, "", written);
    }, WRITE_MS);
  });
  window.addEventListener("hashchange", () => {
    if (location.hash !== written) useView.getState().set({ ...START, ...fromHash(location.hash) });
  });
}
