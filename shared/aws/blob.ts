import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { hasOwnEndpoint } from '../config/aws-endpoint.ts';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { BlobStore } from '../task/ports.ts';
import { awsErrorName, awsFailure, type ClientSettings, clientOptions } from './client.ts';

/** The parts of large transactions, in an S3 bucket. */
export function openBlobStore(bucket: string, settings: ClientSettings = {}): BlobStore {
  const client = new S3Client({
    ...clientOptions(settings),
    // An emulator has no host name per bucket.
    forcePathStyle: settings.endpoint !== undefined || hasOwnEndpoint('S3'),
    // The parts carry hashes of their own.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  return {
    async put(key, body) {
      try {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
      } catch (error) {
        throw awsFailure('blob-unavailable', 'Storing a part', error);
      }
    },
    async get(key) {
      try {
        const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        if (!answer.Body) throw new PgtwinError('blob-unavailable', { detail: 'A stored part has no body.' });
        return await answer.Body.transformToByteArray();
      } catch (error) {
        if (error instanceof PgtwinError) throw error;
        const missing = awsErrorName(error) === 'NoSuchKey';
        throw awsFailure(missing ? 'claim-check-missing' : 'blob-unavailable', 'Reading a part', error);
      }
    },
    async removeAll(prefix) {
      try {
        let removed = 0;
        do removed = await removeSome(client, bucket, prefix);
        while (removed > 0);
      } catch (error) {
        if (error instanceof PgtwinError) throw error;
        throw awsFailure('blob-unavailable', 'Removing parts', error);
      }
    },
  };
}

/** Removes up to 1,000 objects (one page of both calls) and says how many. */
async function removeSome(client: S3Client, bucket: string, prefix: string): Promise<number> {
  const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  const objects = (page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [{ Key }]));
  if (objects.length === 0) return 0;
  const answer = await client.send(
    new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects, Quiet: true } }),
  );
  const refused = answer.Errors?.[0];
  if (refused)
    throw new PgtwinError('blob-unavailable', { detail: `S3 did not remove a part: ${refused.Code}.` });
  return objects.length;
}
