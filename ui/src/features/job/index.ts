export { AreaOutline } from "./AreaOutline";
export { JobPanel } from "./JobPanel";
export { TileLayer } from "./TileLayer";
