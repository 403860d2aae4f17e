import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { awsFailure, type ClientSettings, clientOptions } from './client.ts';

/** SNS: publishes a message with its attributes. Throws `topic-unavailable`. */
export function openTopics(settings: ClientSettings = {}) {
  const client = new SNSClient(clientOptions(settings));
  return {
    async publish(arn: string, subject: string, message: string, attributes: Record<string, string>) {
      // A subject is ASCII, and one line.
      const Subject = subject.replace(/[^\x20-\x7e]/g, '?');
      const MessageAttributes = Object.fromEntries(
        Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]),
      );
      try {
        await client.send(
          new PublishCommand({ TopicArn: arn, Subject, Message: message, MessageAttributes }),
        );
      } catch (error) {
        throw awsFailure('topic-unavailable', 'Publishing to a topic', error);
      }
    },
  };
}
