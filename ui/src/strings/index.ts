export { en as strings } from "./en";
export * from "./format";
