import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router'
import { Frame } from './components/Frame.tsx'
import { NotFound } from './components/NotFound.tsx'
import { PageError } from './components/PageError.tsx'
import { readCompareSearch } from './pages/compare/compare-search.ts'
import { readExperimentsSearch } from './pages/experiments/experiments-search.ts'
import { readJobsSearch } from './pages/jobs/jobs-search.ts'
import { readModelsSearch } from './pages/models/models-search.ts'
import { readRunSearch } from './pages/run/run-search.ts'
import { readRunsSearch } from './pages/runs/runs-search.ts'
import { parseUrlSearch, stringifyUrlSearch } from './url-search.ts'

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound })

const start = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/experiments', replace: true })
  },
})

const experiments = createRoute({
  getParentRoute: () => root,
  path: '/experiments',
  validateSearch: readExperimentsSearch,
  loader: async () => (await import('./pages/experiments/ExperimentsPage.tsx')).loader(),
  component: lazyRouteComponent(
    () => import('./pages/experiments/ExperimentsPage.tsx'),
    'ExperimentsPage',
  ),
})

const runs = createRoute({
  getParentRoute: () => root,
  path: '/experiments/$experimentId',
  validateSearch: readRunsSearch,
  loader: async ({ params }) => {
    const page = await import('./pages/runs/RunsPage.tsx')
    return page.loader(params.experimentId)
  },
  component: lazyRouteComponent(() => import('./pages/runs/RunsPage.tsx'), 'RunsPage'),
})

const run = createRoute({
  getParentRoute: () => root,
  path: '/experiments/$experimentId/runs/$runId',
  validateSearch: readRunSearch,
  loader: async ({ params }) => (await import('./pages/run/RunPage.tsx')).loader(params.runId),
  component: lazyRouteComponent(() => import('./pages/run/RunPage.tsx'), 'RunPage'),
})

const compare = createRoute({
  getParentRoute: () => root,
  path: '/compare',
  validateSearch: readCompareSearch,
  loaderDeps: ({ search }) => ({ runs: search.runs }),
  loader: async ({ deps }) => (await import('./pages/compare/ComparePage.tsx')).loader(deps.runs),
  component: lazyRouteComponent(() => import('./pages/compare/ComparePage.tsx'), 'ComparePage'),
})

const models = createRoute({
  getParentRoute: () => root,
  path: '/models',
  validateSearch: readModelsSearch,
  loader: async () => (await import('./pages/models/ModelsPage.tsx')).loader(),
  component: lazyRouteComponent(() => import('./pages/models/ModelsPage.tsx'), 'ModelsPage'),
})

const model = createRoute({
  getParentRoute: () => root,
  path: '/models/$name',
  loader: async ({ params }) => (await import('./pages/models/ModelPage.tsx')).loader(params.name),
  component: lazyRouteComponent(() => import('./pages/models/ModelPage.tsx'), 'ModelPage'),
})

const version = createRoute({
  getParentRoute: () => root,
  path: '/models/$name/versions/$version',
  validateSearch: readRunSearch,
  loader: async ({ params }) => (await import('./pages/models/VersionPage.tsx')).loader(params),
  component: lazyRouteComponent(() => import('./pages/models/VersionPage.tsx'), 'VersionPage'),
})

const jobs = createRoute({
  getParentRoute: () => root,
  path: '/jobs',
  validateSearch: readJobsSearch,
  component: lazyRouteComponent(() => import('./pages/jobs/JobsPage.tsx'), 'JobsPage'),
})

const trainingJob = createRoute({
  getParentRoute: () => root,
  path: '/jobs/training/$name',
  loader: async ({ params }) =>
    (await import('./pages/jobs/TrainingJobPage.tsx')).loader(params.name),
  component: lazyRouteComponent(
    () => import('./pages/jobs/TrainingJobPage.tsx'),
    'TrainingJobPage',
  ),
})

const tuningJob = createRoute({
  getParentRoute: () => root,
  path: '/jobs/tuning/$name',
  loader: async ({ params }) =>
    (await import('./pages/jobs/TuningJobPage.tsx')).loader(params.name),
  component: lazyRouteComponent(() => import('./pages/jobs/TuningJobPage.tsx'), 'TuningJobPage'),
})

const processingJob = createRoute({
  getParentRoute: () => root,
  path: '/jobs/processing/$name',
  loader: async ({ params }) =>
    (await import('./pages/jobs/ProcessingJobPage.tsx')).loader(params.name),
  component: lazyRouteComponent(
    () => import('./pages/jobs/ProcessingJobPage.tsx'),
    'ProcessingJobPage',
  ),
})

const transformJob = createRoute({
  getParentRoute: () => root,
  path: '/jobs/transform/$name',
  loader: async ({ params }) =>
    (await import('./pages/jobs/TransformJobPage.tsx')).loader(params.name),
  component: lazyRouteComponent(
    () => import('./pages/jobs/TransformJobPage.tsx'),
    'TransformJobPage',
  ),
})

const endpoints = createRoute({
  getParentRoute: () => root,
  path: '/endpoints',
  component: lazyRouteComponent(
    () => import('./pages/endpoints/EndpointsPage.tsx'),
    'EndpointsPage',
  ),
})

const endpoint = createRoute({
  getParentRoute: () => root,
  path: '/endpoints/$name',
  loader: async ({ params }) =>
    (await import('./pages/endpoints/EndpointPage.tsx')).loader(params.name),
  component: lazyRouteComponent(() => import('./pages/endpoints/EndpointPage.tsx'), 'EndpointPage'),
})

/** Every URL of the pages. */
export function createAppRouter(basepath: string) {
  return createRouter({
    routeTree: root.addChildren([
      ...[start, experiments, runs, run, compare, models, model, version],
      ...[jobs, trainingJob, tuningJob, processingJob, transformJob, endpoints, endpoint],
    ]),
    basepath: basepath === '' ? '/' : basepath,
    parseSearch: parseUrlSearch,
    stringifySearch: stringifyUrlSearch,
    defaultErrorComponent: PageError,
    defaultPreload: 'intent',
    defaultPreloadStaleTime: 0,
    scrollRestoration: true,
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>
  }
}
