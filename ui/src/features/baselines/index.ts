export { BaselineLayers } from "./BaselineLayers";
export { BaselineNotices } from "./BaselineNotices";
export { Legend } from "./Legend";
export { YearDock } from "./YearDock";
