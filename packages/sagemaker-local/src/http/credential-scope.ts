/** What a request says about who signed it and for which service, unverified. */
export interface CredentialScope {
  accessKeyId: string
  region: string
  /** The signing name: `sagemaker`, `s3`, `logs`, `ecr`, `sts`, `iam`, ... */
  service: string
}

/**
 * The credential scope of a SigV4 request, from its `Authorization` header or, when it is presigned,
 * from `X-Amz-Credential`. Undefined when it is not signed.
 */
export function credentialScope(
  authorization: string | undefined,
  url: string | undefined,
): CredentialScope | undefined {
  const named =
    /^AWS4-HMAC-SHA256\b.*\bCredential=([^,\s]+)/.exec(authorization ?? '')?.[1] ??
    presignedCredential(url ?? '')
  const [accessKeyId, , region, service, end] = named?.split('/') ?? []
  if (!accessKeyId || !region || !service || end !== 'aws4_request') return undefined
  return { accessKeyId, region, service }
}

function presignedCredential(url: string): string | undefined {
  const query = url.indexOf('?')
  if (query < 0) return undefined
  return new URLSearchParams(url.slice(query + 1)).get('X-Amz-Credential') ?? undefined
}
