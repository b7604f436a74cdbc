import { confusionMatrixPng, sampleGridPng } from './demo-png.ts'
import { createRandom, type Random } from './demo-random.ts'
import type { Curve, DemoFile, DemoProject, DemoRun } from './demo-run.ts'

/** An image classifier, swept by hand over a few weeks: curves that converge, overfit and diverge. */
export function digitsProject(): DemoProject {
  const random = createRandom(7)
  const runs = Array.from({ length: 34 }, (_, index) => digitsRun(random, index))
  return {
    name: 'digits-classifier',
    note: [
      '## Hand-written digits',
      '',
      'Baseline for the scanner team. **Goal:** 0.985 on the validation set with a model under 2 MB.',
      '',
      '- `resnet18` wins so far, but only with weight decay',
      '- above a learning rate of 0.03 nothing converges',
    ].join('\n'),
    tags: { team: 'vision', stage: 'research' },
    runs,
    model: {
      name: 'digits-recognizer',
      description:
        'Reads hand-written digits on scanned forms. Input: 28 × 28 grey pictures, one digit each.',
      tags: { team: 'vision', task: 'classification' },
      metric: 'val/accuracy',
      versions: [
        { stage: 'Archived', description: 'First one in the field; mixed up fours and nines.' },
        { stage: 'Archived' },
        { stage: 'Staging', alias: 'challenger' },
        { stage: 'Production', alias: 'champion', description: 'Approved on 12 May by Mira.' },
      ],
    },
  }
}

const WORDS = ['amber', 'brisk', 'calm', 'dapper', 'eager', 'fleet', 'gentle', 'hardy'] as const
const BIRDS = ['finch', 'heron', 'kite', 'lark', 'merlin', 'osprey', 'plover', 'swift'] as const

function digitsRun(random: Random, index: number): DemoRun {
  const model = random.pick(['resnet18', 'cnn-small', 'vit-tiny'])
  const lr = random.pick([0.0003, 0.001, 0.003, 0.01, 0.03])
  const optimizer = random.pick(['adamw', 'sgd'])
  const weight_decay = random.pick([0, 0.01, 0.05])
  const dropout = random.pick([0, 0.1, 0.3])
  const batch_size = random.pick([64, 128, 256])
  const epochs = 40
  const fails = index === 11
  const reached = fails ? 9 : epochs

  const quality =
    { resnet18: 0.985, 'cnn-small': 0.968, 'vit-tiny': 0.957 }[model] -
    0.012 * Math.abs(Math.log10(lr / (optimizer === 'sgd' ? 0.01 : 0.001))) +
    (weight_decay > 0 ? 0.004 : 0) +
    (dropout === 0.1 ? 0.003 : 0)
  const curves = trainingCurves(random, {
    epochs: reached,
    quality,
    speed: 0.1 + 0.05 * Math.log10(lr / 0.0001),
    overfit: weight_decay === 0 && dropout === 0 ? 0.006 : 0.0008,
    lr,
    diverges: fails,
  })
  return {
    name: `${WORDS[index % 8]}-${BIRDS[(index * 5 + Math.floor(index / 8)) % 8]}-${index + 1}`,
    user: random.pick(['mira', 'jonas', 'adaeze']),
    startedMinutesAgo: 60 * 24 * 12 - index * 480 + random.next() * 200,
    minutes: reached * (model === 'cnn-small' ? 0.4 : 1.1) * (0.9 + random.next() * 0.2),
    status: fails ? 'FAILED' : 'FINISHED',
    params: { model, lr, optimizer, weight_decay, dropout, batch_size, epochs, seed: 42 },
    tags: {
      'mlflow.source.name': 'train_digits.py',
      'mlflow.source.git.commit': commit(random),
      ...(index % 9 === 4 && { reviewed: 'yes' }),
    },
    dataset: {
      name: 'digits-v3',
      rows: 60_000,
      columns: { image: 'binary', label: 'long', writer: 'string' },
    },
    curves,
    artifacts:
      index % 2 === 0 || quality > 0.97
        ? digitsFiles(createRandom(index), { model, lr, quality })
        : [],
  }
}

interface Training {
  epochs: number
  quality: number
  speed: number
  overfit: number
  lr: number
  diverges: boolean
}

function trainingCurves(random: Random, training: Training): Curve[] {
  const { epochs, quality, speed, overfit, lr, diverges } = training
  const rows = Array.from({ length: epochs }, (_, epoch) => {
    const left = Math.exp(-speed * epoch)
    const wobble = 1 + random.normal() * 0.05
    const trainLoss = (0.02 + 2.25 * left) * wobble
    const valLoss = (0.06 + (1 - quality) * 2 + 2.2 * left + overfit * epoch) * wobble
    const blowUp = diverges && epoch > 5 ? 4 ** (epoch - 5) : 1
    return {
      'train/loss': diverges && epoch === epochs - 1 ? Number.NaN : trainLoss * blowUp,
      'train/accuracy':
        Math.min(0.999, Math.max(0.1, 0.996 - 0.88 * left + random.normal() * 0.003)) / blowUp,
      'val/loss': valLoss * blowUp,
      'val/accuracy':
        Math.max(0.1, quality - 0.86 * left - overfit * 0.2 * epoch + random.normal() * 0.002) /
        blowUp,
      lr: (lr / 2) * (1 + Math.cos((Math.PI * epoch) / 40)),
      'system/gpu_utilization_percentage': Math.min(100, 88 + random.normal() * 4),
      'system/cpu_utilization_percentage': Math.min(100, 41 + random.normal() * 9),
    }
  })
  const keys = Object.keys(rows[0] ?? {}) as (keyof (typeof rows)[number])[]
  return keys.map((key) => ({ key, stepSize: 1, values: rows.map((row) => row[key]) }))
}

/** Forty hexadecimal digits, as git would give. */
export function commit(random: Random): string {
  return Array.from({ length: 40 }, () => Math.floor(random.next() * 16).toString(16)).join('')
}

function digitsFiles(
  random: Random,
  { model, lr, quality }: { model: string; lr: number; quality: number },
): DemoFile[] {
  const counts = Array.from({ length: 10 }, (_, label) =>
    Array.from({ length: 10 }, (_, guess) =>
      label === guess
        ? Math.round(1000 * quality)
        : Math.round(random.next() ** 4 * 1000 * (1 - quality)),
    ),
  )
  const perClass = counts.map((row, label) => ({
    label,
    support: row.reduce((sum, count) => sum + count, 0),
    recall: Number(((row[label] ?? 0) / row.reduce((sum, count) => sum + count, 0)).toFixed(4)),
  }))
  return [
    { path: 'config.yaml', content: digitsConfig(model, lr) },
    { path: 'reports/confusion_matrix.png', content: confusionMatrixPng(counts) },
    { path: 'reports/per_class.json', content: JSON.stringify({ classes: perClass }, null, 2) },
    { path: 'reports/report.md', content: digitsReport(model, perClass) },
    {
      path: 'reports/predictions.csv',
      content: [
        'id,label,predicted,confidence',
        ...Array.from({ length: 400 }, (_, id) => {
          const label = Math.floor(random.next() * 10)
          const isRight = random.next() < quality
          const predicted = isRight ? label : Math.floor(random.next() * 10)
          return `${id},${label},${predicted},${(isRight ? 0.9 + random.next() * 0.1 : 0.4 + random.next() * 0.3).toFixed(3)}`
        }),
      ].join('\n'),
    },
    { path: 'samples/epoch_01.png', content: sampleGridPng(random, 0.35) },
    { path: 'samples/epoch_40.png', content: sampleGridPng(random, 0.97) },
    { path: 'train.log', content: digitsLog(random) },
    { path: 'model/MLmodel', content: digitsModel(model) },
    {
      path: 'model/requirements.txt',
      content: 'torch==2.6.0\ntorchvision==0.21.0\nnumpy==2.1.3\n',
    },
    {
      path: 'model/python_env.yaml',
      content: 'python: 3.11.9\ndependencies:\n- -r requirements.txt\n',
    },
  ]
}

function digitsConfig(model: string, lr: number): string {
  return `model:
  name: ${model}
  pretrained: false
  classes: 10
optimiser:
  lr: ${lr}
  schedule: cosine
data:
  root: s3://datasets/digits-v3
  augment: [rotate, shift, elastic]
  workers: 4
`
}

function digitsReport(model: string, perClass: { label: number; recall: number }[]): string {
  const rows = perClass.map(({ label, recall }) => `| ${label} | ${recall} |`)
  return [
    `# Validation report: ${model}`,
    '',
    'Measured on 10,000 pictures that no training saw.',
    '',
    '| digit | recall |',
    '|---|---|',
    ...rows,
    '',
    '> Fours and nines are still mixed up when the writer closes the top.',
  ].join('\n')
}

function digitsLog(random: Random): string {
  const lines = Array.from({ length: 40 }, (_, epoch) => {
    const loss = 0.05 + 2 * Math.exp(-0.2 * epoch) * (1 + random.normal() * 0.04)
    const clock = `14:${String(2 + epoch).padStart(2, '0')}:07`
    return `2025-05-14 ${clock} INFO  epoch ${epoch + 1}/40 loss=${loss.toFixed(4)} 469 batches 61.2s`
  })
  return ['2025-05-14 14:01:02 INFO  60000 pictures, 10 classes', ...lines, ''].join('\n')
}

function digitsModel(model: string): string {
  return `artifact_path: model
flavors:
  python_function:
    data: data
    env:
      virtualenv: python_env.yaml
    loader_module: mlflow.pytorch
    python_version: 3.11.9
  pytorch:
    code: null
    model_data: data
    pytorch_version: 2.6.0
metadata:
  architecture: ${model}
mlflow_version: 2.22.0
model_size_bytes: 1893412
signature:
  inputs: '[{"type": "tensor", "name": "image", "tensor-spec": {"dtype": "float32", "shape": [-1, 1, 28, 28]}}]'
  outputs: '[{"type": "tensor", "name": "logits", "tensor-spec": {"dtype": "float32", "shape": [-1, 10]}}]'
  params: null
`
}
