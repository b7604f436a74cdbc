import { describe, expect, test } from 'vitest'
import { parseDeploymentConfig } from './deployment-config.ts'
import { isResourceName, uniqueName } from './deployment-names.ts'
import { parseTarget } from './deployment-target.ts'

const NOWHERE = { region: undefined, assumeRoleArn: undefined }
const ROLE = 'arn:aws:iam::123456789012:role/team/deployer'

describe('targets', () => {
  test.each([
    ['sagemaker', undefined, undefined],
    ['sagemaker:/', undefined, undefined],
    ['sagemaker:/eu-west-1', 'eu-west-1', undefined],
    [`sagemaker:/eu-west-1/${ROLE}`, 'eu-west-1', ROLE],
    [`sagemaker:/us-gov-east-1////${ROLE}`, 'us-gov-east-1', ROLE],
  ])('%s', (target, region, assumeRoleArn) => {
    expect(parseTarget(target)).toEqual({ region, assumeRoleArn })
  })

  test.each([
    [`sagemaker:/${ROLE}`, 'without a region'],
    ['sagemaker:/Ireland', "'Ireland'"],
    ['databricks', "'databricks'"],
    ['sagemakers', "'sagemakers'"],
  ])('%s is refused', (target, words) => {
    expect(() => parseTarget(target)).toThrow(words)
  })
})

describe('settings', () => {
  test('values get the types that their keys have', () => {
    const config = parseDeploymentConfig(
      ['instance_count=2', 'archive=True', 'synchronous=False', 'env={"A": "x=y", "B": 1}'],
      { region: 'eu-west-1', assumeRoleArn: ROLE },
    )
    expect(config).toMatchObject({
      instance_count: 2,
      archive: true,
      synchronous: false,
      env: { A: 'x=y', B: '1' },
      region_name: 'eu-west-1',
      assume_role_arn: ROLE,
    })
  })

  test("a setting holds before the target's, and the documentation's bucket_name is the bucket", () => {
    const target = { region: 'eu-west-1', assumeRoleArn: undefined }
    const config = parseDeploymentConfig(['region_name=us-east-1', 'bucket_name=b'], target)
    expect(config).toMatchObject({ region_name: 'us-east-1', bucket: 'b' })
  })

  test.each([
    [['instance_typ=ml.m5.large'], "no setting 'instance_typ'"],
    [['bucket=a', 'bucket_name=b'], "Repeated parameter: 'bucket_name'"],
    [['archive'], "'archive' is not a pair"],
    [['archive=perhaps'], 'archive=perhaps'],
    [['instance_count=1.5'], 'instance_count=1.5'],
    [['tags=[1]'], 'tags=[1]'],
    [['env={"A": {}}'], 'env='],
    [['vpc_config={'], 'vpc_config={'],
    [['mode=merge'], 'mode=merge'],
  ])('%s is refused by name', (pairs, words) => {
    expect(() => parseDeploymentConfig(pairs, NOWHERE)).toThrow(words)
  })
})

describe('names', () => {
  test('a long name keeps its ends and the length that SageMaker allows', () => {
    const name = uniqueName(`${'a'.repeat(40)}${'z'.repeat(23)}`, 'config')
    expect(name).toMatch(/^a{16}---z{16}-config-[0-9a-f]{20}$/)
    expect(isResourceName(name)).toBe(true)
  })

  test.each([['a'.repeat(64)], ['-a'], ['a-'], ['a_b'], ['a.b'], ['']])('%s is no name', (name) => {
    expect(isResourceName(name)).toBe(false)
  })
})
