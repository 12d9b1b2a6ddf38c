export { OrderPanel } from "./OrderPanel";
