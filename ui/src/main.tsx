import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "@/app/App";
import { useBaselines } from "@/baseline/store";
import { applyTheme } from "@/theme/theme";
import "@/theme/index.css";
import { followHash } from "@/view/follow";

applyTheme();
followHash();
void useBaselines.getState().load();

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
