import { CodeBlock } from '../../ui/CodeBlock.tsx'
import type { JobKind } from './jobs-search.ts'

const CODE: Record<JobKind, string[]> = {
  training: [
    'eval "$(millrace env)"  # in the shell of the script',
    'estimator = SKLearn("train.py", framework_version="1.2-1", role=role, instance_type="ml.m5.large")',
    'estimator.fit({"train": "s3://my-bucket/data"})',
  ],
  tuning: [
    'tuner = HyperparameterTuner(estimator, "loss", ranges, metrics, objective_type="Minimize",',
    '                            max_jobs=20, max_parallel_jobs=2)',
    'tuner.fit({"train": "s3://my-bucket/data"})',
  ],
  processing: [
    'processor = SKLearnProcessor("1.2-1", role, "ml.m5.large", instance_count=1)',
    'processor.run("clean.py", inputs=[ProcessingInput("s3://my-bucket/raw", "/opt/ml/processing/input")],',
    '              outputs=[ProcessingOutput(source="/opt/ml/processing/output")])',
  ],
  transform: [
    'transformer = model.transformer(1, "ml.m5.large", output_path="s3://my-bucket/out")',
    'transformer.transform("s3://my-bucket/in", content_type="text/csv", split_type="Line")',
    'transformer.wait()',
  ],
}

/** What to do where no job has been started. */
export function NoJobs({ kind, contains }: { kind: JobKind; contains: string }) {
  if (contains !== '') return <p className="empty muted">No job matches “{contains}”.</p>
  return (
    <section className="empty">
      <h2>No {kind} job yet</h2>
      <p>
        Jobs that scripts start with the SageMaker SDK, boto3 or the AWS command line run on this
        machine and appear here.
      </p>
      <CodeBlock code={CODE[kind].join('\n')} label="Copy the lines" />
    </section>
  )
}
