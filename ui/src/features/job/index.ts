export { AreaOutline } from "./AreaOutline";
export { Log } from "./Log";
export { JobPanel } from "./JobPanel";
export { TileLayer } from "./TileLayer";
