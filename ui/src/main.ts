import { CANVAS, drawFirst } from "@/map/firstPicture";
import { keptChoice, showTheme, themeOf } from "@/theme/choice";
import "@/theme/index.css";

/** The page's colours and the baseline that its address asks for come before its own code, which takes longer. */
showTheme(themeOf(keptChoice()));
const canvas = document.getElementById(CANVAS);
if (canvas instanceof HTMLCanvasElement) drawFirst(canvas);
void import("./start");
