/** The server's static prefix, '' or like '/mlflow', as it wrote it into the page. */
export const basePath =
  document.querySelector<HTMLMetaElement>('meta[name="millrace-base"]')?.content ?? ''
