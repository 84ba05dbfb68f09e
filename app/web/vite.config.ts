// How the page is built: one script, one style sheet, fixed names and no time stamps, so that two builds of the same
// source are the same bytes and `dist` can be committed. It knows nothing of the server; `build.rs` embeds the result.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: 'ui',
  base: '/ui/',
  plugins: [svelte({ configFile: false, compilerOptions: { runes: true }, emitCss: true })],
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: (asset) => (asset.names.some((n) => n.endsWith('.css')) ? 'app.css' : '[name][extname]'),
      },
    },
  },
  server: { proxy: { '^/(api|loki|apm)/': 'http://127.0.0.1:4300' } },
  test: { include: ['**/*.test.ts'], environment: 'node' },
});
