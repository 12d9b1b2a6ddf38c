import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { loadConfig } from "@/api/config";
import { loadSession } from "@/api/signIn";
import { App } from "@/app/App";
import { useBaselines } from "@/baseline/store";
import { applyTheme } from "@/theme/theme";
import "@/theme/index.css";
import { followHash } from "@/view/follow";

/** Addresses of rasters are signed for six hours at least. */
const BASELINES_MS = 5 * 3_600_000;

applyTheme();
followHash();
void useBaselines.getState().load();
setInterval(() => void useBaselines.getState().load(), BASELINES_MS);
for (const load of [loadSession, loadConfig]) load().catch(() => undefined);

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
