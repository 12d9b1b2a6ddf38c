export { JobPanel } from "./JobPanel";
export { TileLayer } from "./TileLayer";
