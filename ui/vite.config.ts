import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const api = process.env["GEOCROP_API"] ?? "http://127.0.0.1:8000";

/** The map's code is wanted at once, though the first script asks for it late. */
const preloadMap: Plugin = {
  name: "preload-map",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle = {} }) => {
      const files = Object.keys(bundle).filter((file) => /assets\/(MapFrame|maplibre-gl)-[^/]*\.js$/.test(file));
      return files.map((file) => ({ tag: "link", attrs: { rel: "modulepreload", crossorigin: true, href: `./${file}` }, injectTo: "head" as const }));
    },
  },
};

export default defineConfig({
  base: "./",
  plugins: [react(), preloadMap],
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  worker: { format: "es" },
  build: { target: "es2022", manifest: true, sourcemap: false, chunkSizeWarningLimit: 1200, assetsInlineLimit: 0 },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": api, "/baselines": api, "/baselines.json": api, "/tiler": api },
  },
});
