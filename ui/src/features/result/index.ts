export { ResultLayer } from "./ResultLayer";
export { ResultPanel } from "./ResultPanel";
export { Swipe } from "./Swipe";
