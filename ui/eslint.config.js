import { createTypeScriptImportResolver } from "eslint-import-resolver-typescript";
import importX from "eslint-plugin-import-x";
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const features = ["baselines", "aoi", "quote", "job", "result", "history", "compare"];
const nouns = ["api", "area", "baseline", "job", "kit", "legend", "map", "raster", "season", "strings", "theme", "view"];

/** Arrows: app -> features -> nouns; a feature knows no other feature, a noun neither features nor the app. */
const zones = [
  ...features.map((name) => ({
    target: `./src/features/${name}`,
    from: "./src/features",
    except: [`./${name}`],
    message: "Features do not import each other: share through src/view.",
  })),
  { target: "./src/features", from: "./src/app", message: "The app puts features together, not the other way round." },
  ...nouns.map((noun) => ({
    target: `./src/${noun}`,
    from: ["./src/app", "./src/features"],
    message: "What features share does not know them.",
  })),
  { target: "./src/raster", from: ["./src/map", "./src/kit"], message: "Runs in a worker: no map, no React." },
];

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts", "test-results", "playwright-report"] },
  ...tseslint.configs.strictTypeChecked,
  jsxA11y.flatConfigs.strict,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["*.js", "scripts/*.mjs", "tests/*.mjs", "bench/*.mjs"] } } },
    plugins: { "import-x": importX, "react-hooks": reactHooks },
    settings: { "import-x/resolver-next": [createTypeScriptImportResolver({ project: "tsconfig.json" })] },
    rules: {
      ...reactHooks.configs.recommended.rules,
      "import-x/no-restricted-paths": ["error", { zones }],
      "import-x/no-cycle": "error",
      "max-lines": ["error", { max: 150, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  { files: ["src/strings/**", "tests/**"], rules: { "max-lines": "off" } },
  { files: ["**/*.js", "**/*.mjs"], extends: [tseslint.configs.disableTypeChecked] },
);
