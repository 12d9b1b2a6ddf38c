export { ComparePanel } from "./ComparePanel";
