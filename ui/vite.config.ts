import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const api = process.env["GEOCROP_API"] ?? "http://127.0.0.1:8000";

/** The page's and the map's code are wanted at once, though the first script asks for them late. */
const preload: Plugin = {
  name: "preload",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle = {} }) => {
      const files = Object.keys(bundle).filter((file) => /\.js$/.test(file));
      const wanted = ["strings", "drawn", "start", "startMap", "maplibre-gl"].flatMap((name) => files.filter((file) => file.startsWith(`assets/${name}-`) && file.length === `assets/${name}-`.length + "12345678.js".length));
      return wanted.map((file) => ({ tag: "link", attrs: { rel: "modulepreload", crossorigin: true, href: `./${file}` }, injectTo: "head" as const }));
    },
  },
};

export default defineConfig({
  base: "./",
  plugins: [react(), preload],
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  worker: { format: "es" },
  build: { target: "es2022", manifest: true, sourcemap: false, chunkSizeWarningLimit: 1200, assetsInlineLimit: 0 },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": api, "/baselines": api, "/baselines.json": api, "/tiler": api },
  },
});
