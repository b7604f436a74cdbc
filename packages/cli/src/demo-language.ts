import { commit } from './demo-digits.ts'
import { createRandom, type Random } from './demo-random.ts'
import type { DemoProject, DemoRun } from './demo-run.ts'

/** Long language model runs: thousands of points, one under way, one that diverged, one killed. */
export function languageProject(): DemoProject {
  const random = createRandom(99)
  const scales = [
    { size: '25M', floor: 3.62 },
    { size: '85M', floor: 3.21 },
    { size: '350M', floor: 2.86 },
  ] as const
  const runs = Array.from({ length: 12 }, (_, index) => {
    const scale = scales[index % 3] ?? scales[0]
    return languageRun(random, { index, ...scale })
  })
  return {
    name: 'small-language-model',
    note: 'Pre-training runs for the support assistant. Budget: **8 GPU days** a week.',
    tags: { team: 'assistants', cluster: 'h100-b' },
    runs,
  }
}

function languageRun(
  random: Random,
  { index, size, floor }: { index: number; size: string; floor: number },
): DemoRun {
  const steps = 1200
  const status = ({ 11: 'RUNNING', 7: 'FAILED', 4: 'KILLED' } as const)[index] ?? 'FINISHED'
  const reached = { RUNNING: 0.62, FAILED: 0.4, KILLED: 0.3, FINISHED: 1 }[status]
  const lr = random.pick([0.0003, 0.0006, 0.001])
  const warmup = random.pick([100, 400])
  const best = floor + 0.09 * Math.abs(Math.log2(lr / 0.0006)) + (warmup === 100 ? 0.03 : 0)
  const length = Math.round(steps * reached)
  const hoursNeeded = { '25M': 3, '85M': 7, '350M': 19 }[size] ?? 5
  const diverges = status === 'FAILED'
  const loss = Array.from({ length }, (_, step) => {
    const curve = best + (10.8 - best) * (1 + step / 9) ** -0.72
    const spike = diverges && step > length - 40 ? (step - length + 40) * 0.14 : 0
    return curve + spike + random.normal() * 0.035
  })
  const evaluations = loss.filter((_, step) => step % 40 === 39)
  return {
    name: `slm-${size.toLowerCase()}-${String.fromCharCode(97 + Math.floor(index / 3))}`,
    user: random.pick(['tomas', 'mira']),
    startedMinutesAgo: status === 'RUNNING' ? hoursNeeded * 60 * reached : 60 * 30 * (13 - index),
    minutes: hoursNeeded * 60 * reached,
    status,
    params: {
      'model.size': size,
      'model.context': 2048,
      'optimizer.lr': lr,
      'optimizer.warmup_steps': warmup,
      'optimizer.betas': '(0.9, 0.95)',
      'data.mixture': random.pick(['web+code', 'web+code+support']),
      precision: 'bf16',
    },
    tags: {
      'mlflow.source.name': 'pretrain.py',
      'mlflow.source.git.commit': commit(random),
      ...(diverges && { incident: 'loss spike after the data mixture changed' }),
      ...(index === 9 && {
        'mlflow.note.content':
          'Candidate for the **assistant pilot**. Ask Mira before reusing the tokenizer.',
      }),
    },
    curves: [
      { key: 'train/loss', stepSize: 50, values: loss },
      { key: 'val/loss', stepSize: 2000, values: evaluations.map((value) => value + 0.05) },
      {
        key: 'val/perplexity',
        stepSize: 2000,
        values: evaluations.map((value) => Math.exp(value + 0.05)),
      },
      {
        key: 'optim/grad_norm',
        stepSize: 50,
        values: loss.map(
          (value, step) =>
            0.25 +
            value * 0.12 * Math.exp(random.normal() * 0.3) +
            (diverges && step > length - 40 ? 3 : 0),
        ),
      },
      {
        key: 'optim/lr',
        stepSize: 50,
        values: loss.map((_, step) =>
          step < warmup
            ? (lr * step) / warmup
            : lr * 0.5 * (1 + Math.cos((Math.PI * step) / steps)),
        ),
      },
      {
        key: 'throughput/tokens_per_second',
        stepSize: 50,
        values: loss.map(() => Math.round((412_000 / hoursNeeded) * (1 + random.normal() * 0.02))),
      },
    ],
    artifacts: [
      {
        path: 'samples.md',
        content: [
          '# Samples at the last checkpoint',
          '',
          '**Prompt:** My invoice is',
          '',
          '> My invoice is wrong because the second seat was added after the billing day.',
        ].join('\n'),
      },
      {
        path: 'launch.yaml',
        content: `nodes: 1\ngpus_per_node: 8\nmodel: {size: ${size}, context: 2048}\ncheckpoint: {every: 2000, keep: 3}\n`,
      },
      ...(diverges
        ? [
            {
              path: 'crash.txt',
              content:
                'Traceback (most recent call last):\n  File "pretrain.py", line 412, in step\n    raise FloatingPointError("loss is not finite")\nFloatingPointError: loss is not finite\n',
            },
          ]
        : []),
    ],
  }
}
