/** Debian's Chromium, with WebGL drawn by software. */
export const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
export const args = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];
