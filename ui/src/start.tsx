import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { loadConfig } from "@/api/config";
import { loadSession } from "@/api/signIn";
import { App } from "@/app/App";
import { chosenBaseline } from "@/baseline/catalog";
import { useBaselines } from "@/baseline/store";
import { ask } from "@/raster/client";
import { applyTheme } from "@/theme/theme";
import { followHash } from "@/view/follow";
import { useView } from "@/view/store";

/** Addresses of rasters are signed for six hours at least. */
const BASELINES_MS = 5 * 3_600_000;

applyTheme();
followHash();
void useBaselines.getState().load().then(openShown);
setInterval(() => void useBaselines.getState().load(), BASELINES_MS);
for (const load of [loadSession, loadConfig]) load().catch(() => undefined);

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);

/** The raster of the year to show is opened while the map's code is still on its way. */
function openShown(): void {
  const href = chosenBaseline(useBaselines.getState().baselines, useView.getState().year)?.cog;
  if (href) ask<"open">({ kind: "open", href }).catch(() => undefined);
}
