import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/** What index.html says for the server's static prefix; the server replaces it as it sends the page. */
const BASE = '__MILLRACE_BASE__'
/** Likewise for whether a control plane of SageMaker runs beside the server. */
const SAGEMAKER = '__MILLRACE_SAGEMAKER__'

/** In development nobody stands between vite and the browser, so the prefix is empty. */
const emptyBaseInDevelopment: Plugin = {
  name: 'empty-base-in-development',
  apply: 'serve',
  transformIndexHtml: (html) => html.replaceAll(BASE, '').replaceAll(SAGEMAKER, 'on'),
}

const api = process.env['MILLRACE_DEV_API'] ?? 'http://127.0.0.1:5050'
const proxied = ['/ajax-api', '/get-artifact', '/model-versions/get-artifact', '/version']

export default defineConfig({
  plugins: [react(), emptyBaseInDevelopment],
  experimental: {
    // Pages name their files from the root, because deep links are pages too; scripts and styles
    // name theirs from where they stand, because they cannot know the prefix.
    renderBuiltUrl: (filename, { hostType }) =>
      hostType === 'html' ? `${BASE}/${filename}` : { relative: true },
  },
  // Nothing is inlined: the pages' policy takes fonts and images from the server only.
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 600 },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: api, changeOrigin: true }])),
  },
})
