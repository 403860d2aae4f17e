type Variables = Readonly<Record<string, string | undefined>>;

/**
 * True where an AWS service is reached at an address of its own (an emulator): its name as in the SDK's standard
 * variables, `AWS_ENDPOINT_URL_S3` before `AWS_ENDPOINT_URL`.
 */
export const hasOwnEndpoint = (service: string, source: Variables = process.env): boolean =>
  Boolean(source[`AWS_ENDPOINT_URL_${service}`] || source['AWS_ENDPOINT_URL']);
