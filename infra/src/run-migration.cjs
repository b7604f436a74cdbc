const { ECSClient, RunTaskCommand, DescribeTasksCommand } = require('@aws-sdk/client-ecs')

const ecs = new ECSClient({})

// Runs one task that brings the tables up to date, and tells CloudFormation how it ended.
exports.handler = async (event) => {
  let status = 'SUCCESS'
  let reason = 'The tables are up to date'
  try {
    if (event.RequestType !== 'Delete') await migrate(event.ResourceProperties)
  } catch (error) {
    status = 'FAILED'
    reason = error.message
  }
  await fetch(event.ResponseURL, {
    method: 'PUT',
    body: JSON.stringify({
      Status: status,
      Reason: reason,
      PhysicalResourceId: event.PhysicalResourceId || event.LogicalResourceId,
      StackId: event.StackId,
      RequestId: event.RequestId,
      LogicalResourceId: event.LogicalResourceId,
    }),
  })
  // The alarm counts what is thrown.
  if (status === 'FAILED') throw new Error(reason)
}

async function migrate({ Cluster, TaskDefinition, Subnets, SecurityGroup }) {
  const { tasks, failures } = await ecs.send(
    new RunTaskCommand({
      cluster: Cluster,
      taskDefinition: TaskDefinition,
      launchType: 'FARGATE',
      networkConfiguration: {
        awsvpcConfiguration: {
          subnets: Subnets,
          securityGroups: [SecurityGroup],
          assignPublicIp: 'DISABLED',
        },
      },
      overrides: { containerOverrides: [{ name: 'server', command: ['db', 'upgrade'] }] },
    }),
  )
  if (!tasks[0]) throw new Error(`No task started: ${failures[0] && failures[0].reason}`)
  const { taskArn } = tasks[0]
  const deadline = Date.now() + 13 * 60 * 1000
  while (Date.now() < deadline) {
    const answer = await ecs.send(new DescribeTasksCommand({ cluster: Cluster, tasks: [taskArn] }))
    const [task] = answer.tasks
    if (task && task.lastStatus === 'STOPPED') {
      const { exitCode, reason } = task.containers.find(({ name }) => name === 'server')
      if (exitCode === 0) return
      throw new Error(
        `millrace db upgrade: ${reason || task.stoppedReason || 'it failed'} (exit ${exitCode})`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, Number(process.env.WAIT_MS || 5000)))
  }
  throw new Error(`${taskArn} did not end in 13 minutes`)
}
