import '@fontsource-variable/inter'
import '@fontsource-variable/jetbrains-mono'
import './styles/tokens.css'
import './styles/base.css'
import './ui/controls.css'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { basePath } from './base-path.ts'
import { pathOfHash } from './hash-links.ts'
import { queryClient } from './query.ts'
import { createAppRouter } from './routes.tsx'

const linked = pathOfHash(location.hash)
if (linked !== undefined) history.replaceState(null, '', basePath + linked)

const router = createAppRouter(basePath)
window.addEventListener('hashchange', () => {
  const path = pathOfHash(location.hash)
  if (path !== undefined) router.history.replace(basePath + path)
})

const app = document.getElementById('app')
if (app) {
  createRoot(app).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  )
}
