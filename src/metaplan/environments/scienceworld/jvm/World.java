package metaplan.scienceworld;

import java.util.TreeMap;

import scala.Option;
import scala.Some;
import scala.Tuple2;
import scala.Tuple3;
import scala.Tuple4;
import scala.collection.Iterator;
import scienceworld.actions.Action;
import scienceworld.environments.EnvironmentMaker$;
import scienceworld.input.InputMatch;
import scienceworld.input.InputParser;
import scienceworld.objects.agent.Agent;
import scienceworld.runtime.AgentInterface;
import scienceworld.runtime.pythonapi.PythonInterface;
import scienceworld.struct.EnvObject;
import scienceworld.tasks.Task;
import scienceworld.tasks.goals.GoalSequence;
import scienceworld.tasks.specifictasks.TaskParametric;

/**
 * One running task of ScienceWorld, among any number in this JVM.
 *
 * <p>The simulator's worlds share a random generator and a counter of object ids. A world keeps
 * both as they were when its turn ended, and puts them back when its next one begins, so that it
 * runs as if it were alone.
 *
 * <p>Not thread-safe, like the simulator.
 */
public final class World extends AgentInterface {
    /** Whose turn it is. */
    private static World current;

    /** Whether inputs are read by our parser, and not by the simulator's own. */
    private static boolean quick = true;

    private final QuickParser parser = new QuickParser(actionHandler().getActions());
    private Chance paused;

    private World(EnvObject universe, Agent agent, Task task, String simplifications) {
        super(universe, agent, task, simplifications);
    }

    /**
     * Builds the world of a task as the package's own interface does.
     *
     * @param simplifications what makes it easier: names, with commas
     * @throws IllegalArgumentException where there is no such task or variation
     */
    public static World load(String taskName, int variation, String simplifications) {
        pause();
        TaskParametric task = TaskMaker.make(taskName, variation);
        Chance.draw(variation);
        Tuple2<EnvObject, Agent> made = EnvironmentMaker$.MODULE$.mkKitchenEnvironment(variation);
        Chance.draw(variation);
        Tuple2<Object, String> fits = task.setupCombination(variation, made._1(), made._2());
        if (!(Boolean) fits._1()) {
            throw new IllegalArgumentException(fits._2());
        }
        current = new World(made._1(), made._2(), task.setupGoals(variation), simplifications);
        return current;
    }

    /** Ends the turn of the world that has it. */
    public static void pause() {
        if (current != null) {
            current.paused = Chance.now();
            current = null;
        }
    }

    /** Lets the simulator's own parser read what is said in any world, or ours again. */
    public static void parseQuickly(boolean chosen) {
        quick = chosen;
    }

    @Override
    public InputParser inputParser() {
        return quick ? parser : super.inputParser();
    }

    /**
     * Does one action.
     *
     * @return the score, whether the task is completed, and the simulator's answer
     * @throws IllegalStateException where the simulator broke
     */
    public String act(String action) {
        resume();
        Tuple3<String, Object, Object> outcome = step(action);
        if (isInErrorState()) {
            throw new IllegalStateException(getErrorStateMessage());
        }
        return outcome._2() + " " + outcome._3() + " " + outcome._1();
    }

    /** Does one action through the package's own interface; returns what {@link #act} does. */
    public String actThrough(PythonInterface server, String action) {
        resume();
        server.agentInterface_$eq(new Some<>(this));
        server.agent_$eq(new Some<>(agent()));
        String answer = server.step(action);
        GoalSequence goals = task().goalSequence();
        return goals.score() + " " + goals.isCompleted() + " " + answer;
    }

    /** Lets chance go another way from here, for the world whose turn it is. */
    public static void draw(long seed) {
        Chance.draw(seed);
    }

    /** What worlds share, as it is now, for comparisons. */
    public static String shared() {
        return Chance.now().toString();
    }

    /** What the simulator's own parser and ours make of an input here; the world stays as it is. */
    public String[] readings(String input) {
        resume();
        return new String[] {reading(super.inputParser(), input), reading(parser, input)};
    }

    private String reading(InputParser reader, String input) {
        Option<InputMatch[]> asked = reader.lastAmbiguousMatches();
        reader.clearAmbiguousState();
        EnvObject room = agent().getContainer().get();
        Tuple4<Object, String, String, Option<Action>> read =
                reader.parse(
                        input, room, universe(), agent(), objMonitor(), task().goalSequence(), room);
        StringBuilder told = new StringBuilder();
        told.append(read._1()).append(read._2()).append(read._3());
        if (read._4().isDefined()) {
            told.append(read._4().get().getClass()).append(named(read._4().get().assignments()));
        }
        if (reader.isInAmbiguousState()) {
            for (InputMatch choice : reader.lastAmbiguousMatches().get()) {
                told.append(choice.actionRequestDef().get().name()).append(named(choice.varLUT()));
            }
        }
        reader.lastAmbiguousMatches_$eq(asked);
        return told.toString();
    }

    private static String named(scala.collection.Map<String, EnvObject> objects) {
        TreeMap<String, Long> ids = new TreeMap<>();
        for (Iterator<Tuple2<String, EnvObject>> all = objects.iterator(); all.hasNext(); ) {
            Tuple2<String, EnvObject> one = all.next();
            ids.put(one._1(), one._2().uuid());
        }
        return ids.toString();
    }

    private void resume() {
        if (current != this) {
            pause();
            paused.resume();
            current = this;
        }
    }
}
