/** The server's static prefix, '' or like '/mlflow', as it wrote it into the page. */
export const basePath =
  document.querySelector<HTMLMetaElement>('meta[name="millrace-base"]')?.content ?? ''

/** Whether a control plane of SageMaker runs beside the server, so that there are jobs and endpoints. */
export const hasPlane =
  document.querySelector<HTMLMetaElement>('meta[name="millrace-sagemaker"]')?.content === 'on'
