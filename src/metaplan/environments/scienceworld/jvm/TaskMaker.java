package metaplan.scienceworld;

import java.lang.reflect.Constructor;
import java.util.HashMap;
import java.util.Map;

import scienceworld.tasks.TaskMaker1;
import scienceworld.tasks.specifictasks.TaskParametric;

/**
 * Makes tasks as ScienceWorld does, but not always all of them.
 *
 * <p>To load one task the simulator makes those of all types, each with all its variations. Their
 * making draws on chance, one after the other, so that a task made alone would not be the same. So
 * the first time all are made, and where chance stood at each one's turn is kept; the next time the
 * one that is asked for is made alone, from there.
 *
 * <p>Not thread-safe, like the simulator.
 */
final class TaskMaker extends TaskMaker1 {
    private static final Map<Integer, Recipes> KNOWN = new HashMap<>();

    /** Those that are being noted; not a field of this object, which is made by making all tasks. */
    private static Recipes noted;

    /** Where chance stands when the next task's turn comes. */
    private static Chance before;

    private TaskMaker() {}

    /**
     * Makes a task, and leaves chance as if all had been made.
     *
     * @throws IllegalArgumentException where there is no such task
     */
    static TaskParametric make(String name, int variation) {
        Recipes recipes = KNOWN.get(variation);
        if (recipes == null) {
            recipes = note(variation);
            KNOWN.put(variation, recipes);
        }
        Recipe recipe = recipes.tasks.get(name);
        if (recipe == null) {
            throw new IllegalArgumentException("there is no task " + name);
        }
        TaskParametric task = recipe.follow();
        recipes.after.resume();
        return task;
    }

    private static Recipes note(int variation) {
        noted = new Recipes();
        before = Chance.ofVariation(variation);
        new TaskMaker();
        noted.after = before;
        return noted;
    }

    @Override
    public void addTask(TaskParametric task) {
        noted.tasks.put(task.taskName(), new Recipe(task, before));
        before = Chance.now();
    }

    /** How the tasks of one variation are made. */
    private static final class Recipes {
        final Map<String, Recipe> tasks = new HashMap<>();
        Chance after;
    }

    /** How one task is made: its class, the class's name for it, and where chance stood. */
    private static final class Recipe {
        private final Constructor<? extends TaskParametric> maker;
        private final String mode;
        private final Chance before;

        Recipe(TaskParametric task, Chance before) {
            try {
                maker = task.getClass().getConstructor(String.class);
                mode = (String) task.getClass().getMethod("mode").invoke(task);
            } catch (ReflectiveOperationException error) {
                throw new IllegalStateException(error);
            }
            this.before = before;
        }

        TaskParametric follow() {
            before.resume();
            try {
                return maker.newInstance(mode);
            } catch (ReflectiveOperationException error) {
                throw new IllegalStateException(error);
            }
        }
    }
}
