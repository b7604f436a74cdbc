/** What a framework image of AWS has in it. */
export interface FrameworkImage {
  framework: 'scikit-learn' | 'xgboost' | 'pytorch'
  /** `3.8` */
  python: string
  packages: string[]
}

interface Release {
  python: string
  packages: string[]
}

const SCIKIT_LEARN: Record<string, Release> = {
  '0.20.0': {
    python: '3.7',
    packages: ['scikit-learn==0.20.4', 'numpy<1.20', 'scipy<1.5', 'pandas<1.2'],
  },
  '0.23-1': {
    python: '3.7',
    packages: ['scikit-learn==0.23.2', 'numpy<1.20', 'scipy<1.6', 'pandas<1.2'],
  },
  '1.0-1': {
    python: '3.8',
    packages: ['scikit-learn==1.0.2', 'numpy<1.24', 'scipy<1.9', 'pandas<1.5'],
  },
  '1.2-1': {
    python: '3.8',
    packages: ['scikit-learn==1.2.1', 'numpy<1.25', 'scipy<1.11', 'pandas<2'],
  },
  '1.4-2': {
    python: '3.10',
    packages: ['scikit-learn==1.4.2', 'numpy<2', 'scipy<1.14', 'pandas<2.3'],
  },
}

const XGBOOST: Record<string, Release> = {
  '1.5': { python: '3.8', packages: ['xgboost==1.5.2', 'numpy<1.24'] },
  '1.7': { python: '3.10', packages: ['xgboost==1.7.6', 'numpy<2'] },
  '2.1': { python: '3.10', packages: ['xgboost==2.1.4', 'numpy<2.1'] },
}

/**
 * What an image of AWS stands for, by the name of its repository and its tag; undefined for others.
 * Accounts and regions do not matter. Releases that are not listed get the newest packages that
 * begin with their version.
 */
export function frameworkImage(image: string): FrameworkImage | undefined {
  const [, repository, tag = ''] = /(?:^|\/)([a-z0-9._-]+)(?::([\w.-]+))?$/.exec(image) ?? []
  const version = /^\d+\.\d+(\.\d+)?(-\d+)?/.exec(tag)?.[0] ?? ''
  const bare = version.replace(/-\d+$/, '')
  const python = /-py3(\d+)\b/.exec(tag)?.[1]
  switch (repository) {
    case 'sagemaker-scikit-learn': {
      const release = SCIKIT_LEARN[version] ?? {
        python: '3.11',
        packages: [`scikit-learn==${bare}.*`, 'pandas'],
      }
      return { framework: 'scikit-learn', ...release }
    }
    case 'sagemaker-xgboost': {
      const minor = bare.split('.').slice(0, 2).join('.')
      const release = XGBOOST[minor] ?? { python: '3.10', packages: [`xgboost==${minor}.*`] }
      return {
        framework: 'xgboost',
        python: release.python,
        packages: [...release.packages, 'pandas', 'scikit-learn', 'scipy'],
      }
    }
    case 'pytorch-training':
    case 'pytorch-inference': {
      const [major = 0, minor = 0] = bare.split('.').map(Number)
      const numpy = major > 2 || (major === 2 && minor >= 3) ? 'numpy' : 'numpy<2'
      return {
        framework: 'pytorch',
        python: python === undefined ? '3.10' : `3.${python}`,
        packages: [`torch==${bare}`, numpy, 'pandas', 'scikit-learn', 'scipy'],
      }
    }
    default:
      return undefined
  }
}
