// Writes src/api/schema.d.ts from api/openapi.json; with --check, says whether it is what that gives.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const source = new URL("../../api/openapi.json", import.meta.url);
const target = new URL("../src/api/schema.d.ts", import.meta.url);
const text = `// Made from api/openapi.json by \`npm run client\`: do not edit.\n\n${astToString(await openapiTS(source))}`;
if (!process.argv.includes("--check")) writeFileSync(target, text);
else if (readFileSync(target, "utf-8") !== text) {
  console.error("src/api/schema.d.ts is not what api/openapi.json gives: run `npm run client`");
  process.exit(1);
}
