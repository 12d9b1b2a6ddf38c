import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { loadConfig } from "@/api/config";
import { loadSession } from "@/api/signIn";
import { App } from "@/app/App";
import { useBaselines } from "@/baseline/store";
import { applyTheme } from "@/theme/theme";
import "@/theme/index.css";
import { followHash } from "@/view/follow";

applyTheme();
followHash();
void useBaselines.getState().load();
for (const load of [loadSession, loadConfig]) load().catch(() => undefined);

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
